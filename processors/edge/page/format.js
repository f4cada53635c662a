/** Numbers and times as the page writes them. */

export const NONE = '–';

/** A number with as many digits as say something: 0.4, 9.8, 31, 1,204. */
export function amount(value) {
  if (value === null || value === undefined) return NONE;
  if (value > 0 && value < 9.95) return value.toFixed(1);
  return Math.round(value).toLocaleString('en');
}

/** Things counted: whole, however few. */
export const count = (value) => (value === null || value === undefined ? NONE : Math.round(value).toLocaleString('en'));

/** Milliseconds; from one second on in seconds. */
export function duration(ms) {
  if (ms === null || ms === undefined) return NONE;
  if (ms >= 3_600_000) return `${amount(ms / 3_600_000)} h`;
  if (ms >= 60_000) return `${amount(ms / 60_000)} min`;
  if (ms >= 1_000) return `${amount(ms / 1000)} s`;
  return `${amount(ms)} ms`;
}

/** 0 % is only said of what is nothing at all. */
export const percent = (score) => (score > 0 && score < 0.005 ? '<1 %' : `${(score * 100).toFixed(0)} %`);

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
/** To the second, and the tenths apart: there is not always room for them. */
export const time = (at) => [clock.format(at), `.${Math.floor(at / 100) % 10}`];

const minute = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
export const timeOfDay = (at) => minute.format(at);

/** dead_lettered, undecodable_image: as words. */
export const words = (code) => code.replaceAll('_', ' ');
