/** A name for a stream, made of its address. */

/** What these fields hold must not end up in a topic, a log line or a metric. */
const secretField = /user|usr|login|pass|pwd|pw$|token|auth|key|secret|sign?$|signature|session/i;

const defaultPort: Readonly<Record<string, string>> = { 'rtsp:': '554', 'rtsps:': '322' };

/**
 * Host, port where it is not the usual one, path and query: a recorder serves all its cameras under one host and path, and
 * tells them apart by the rest. Credentials are left out wherever cameras take them: before the host, in the query, and in
 * the path (`/user=admin_password=x_channel=1`).
 */
export function rtspName({ protocol, hostname, port, pathname, search }: URL): string {
  const at = port === '' || port === defaultPort[protocol.toLowerCase()] ? '' : `:${port}`;
  const query = search
    .slice(1)
    .split(/[&;]/)
    .filter((field) => !secretField.test(decoded(field).split('=')[0]!))
    .join('-');
  return `${hostname}${at}${withoutSecrets(pathname)}-${query}`;
}

/** A value may hold the separator itself, so it ends only where another field begins. */
const withoutSecrets = (path: string): string =>
  decoded(path).replace(/(_?[a-z]+)=(.*?)(?=[/&;]|_[a-z]+=|$)/gis, (field, name: string) => (secretField.test(name) ? '' : field));

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
