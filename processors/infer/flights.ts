/**
 * Identical pictures that meet at the engine: the first is run, the others take over what it was answered. Who waits in haste
 * does not stand in the line of one who does not: of those an urgent one is run too, and leads from then on.
 */
import { SaccadeError } from '../../connectors/errors.ts';
import type { Clock } from '../../connectors/ports.ts';
import type { Model } from '../../schemas/model-card.ts';
import { answerKey } from '../../schemas/known-answer.ts';
import type { Tensor } from '../../schemas/records.ts';
import type { Input } from '../stage.ts';
import type { RowResult } from './engine.ts';

export interface Landed {
  readonly result: RowResult;
  /** It is another picture's result. */
  readonly joined: boolean;
}

/** Results of the inputs, in order. `run` gets those that nobody runs yet, and may be called once more. */
export type Flights = (model: Model, inputs: readonly Input<Tensor>[], run: (chosen: readonly Input<Tensor>[]) => Promise<readonly RowResult[]>) => Promise<Landed[]>;

interface Flight {
  readonly urgent: boolean;
  readonly landed: Promise<RowResult | null>;
}

export interface FlightsOptions {
  readonly clock: Pick<Clock, 'now'>;
  /** Somebody waits for the answer. */
  readonly urgent: (tensor: Tensor) => boolean;
}

export function flights({ clock, urgent }: FlightsOptions): Flights {
  const under = new Map<string, Flight>();
  const isLate = ({ value: { deadline } }: Input<Tensor>): boolean => deadline !== null && deadline < clock.now();

  return async (model, inputs, run) => {
    const leaders: Input<Tensor>[] = [];
    const landing = new Map<Input<Tensor>, (result: RowResult | null) => void>();
    const own: [string, Flight][] = [];
    const followed = new Map<Input<Tensor>, Promise<RowResult | null>>();
    for (const input of inputs) {
      const { content } = input.value;
      const key = content === null ? null : answerKey(content, model);
      const leader = key === null ? undefined : under.get(key);
      if (leader && (leader.urgent || !urgent(input.value))) {
        followed.set(input, leader.landed);
        continue;
      }
      leaders.push(input);
      if (key === null) continue;
      const flight: Flight = { urgent: urgent(input.value), landed: new Promise((land) => landing.set(input, land)) };
      own.push([key, flight]);
      under.set(key, flight);
    }
    const results = new Map<Input<Tensor>, Landed>();
    try {
      const found = leaders.length > 0 ? await run(leaders) : [];
      leaders.forEach((input, i) => results.set(input, { result: found[i]!, joined: false }));
    } finally {
      for (const [key, flight] of own) if (under.get(key) === flight) under.delete(key);
      for (const [input, land] of landing) land(results.get(input)?.result ?? null);
    }
    // Late, given back, ended a worker: that was the leader's, and need not be theirs.
    const alone: Input<Tensor>[] = [];
    for (const [input, leader] of followed) {
      const result = await leader;
      // The engine runs nothing that is late, so nothing late is answered here either.
      if (isLate(input)) results.set(input, { result: { ok: false, error: new SaccadeError('deadline_exceeded'), crashed: false }, joined: false });
      else if (result?.ok) results.set(input, { result, joined: true });
      else alone.push(input);
    }
    const found = alone.length > 0 ? await run(alone) : [];
    alone.forEach((input, i) => results.set(input, { result: found[i]!, joined: false }));
    return inputs.map((input) => results.get(input)!);
  };
}
