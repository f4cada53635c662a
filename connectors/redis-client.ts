/** The one way in which Redis is spoken to: it is a help that may be away, so nothing waits for it or is asked of it later. */
import { Redis } from 'ioredis';

export interface RedisServer {
  /** redis://host:port/database, or rediss:// for TLS (authorities beyond Node's own: NODE_EXTRA_CA_CERTS). One server, no cluster. */
  readonly url: string;
  readonly username?: string;
  readonly password?: string;
}

/** Far above what Redis takes (a millisecond), and above a pause of our own event loop, which would look like an outage. */
const commandTimeoutMs = 250;
/** Of a connection that is open and silent: also what bounds the commands that wait on it. */
const silenceMs = 2_000;
const connectTimeoutMs = 2_000;
const longestRetryMs = 5_000;

/**
 * Connects by itself, and again whenever the connection is lost; a command while it is away rejects at once. Whoever opens it
 * listens for `error`: without a listener such an event ends the process.
 */
export const redisClient = ({ url, username, password }: RedisServer, connectionName: string): Redis =>
  new Redis(url, {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    connectionName,
    connectTimeout: connectTimeoutMs,
    commandTimeout: commandTimeoutMs,
    socketTimeout: silenceMs,
    // What cannot be answered now is done without: nothing is queued for later, nothing is asked twice.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (attempt) => Math.min(longestRetryMs, 100 * 2 ** Math.min(attempt, 10)) * (0.5 + Math.random() / 2),
  });
