/** kafkajs's errors in our terms. kafkajs wraps an error when it gives up retrying, so the reason may lie a few causes down. */
import { SaccadeError } from '../errors.ts';

interface KafkaError extends Error {
  readonly type?: string;
  readonly retriable?: boolean;
}

/** The error, what it was caused by, and what it gathers: creating several topics may fail for several reasons. */
function* causes(error: unknown, depth = 0): Generator<KafkaError> {
  if (!(error instanceof Error) || depth > 8) return;
  const { errors = [] } = error as { errors?: readonly unknown[] };
  yield error;
  for (const cause of [error.cause, ...errors]) yield* causes(cause, depth + 1);
}

function hasType(error: unknown, types: readonly string[]): boolean {
  for (const at of causes(error)) if (at.type !== undefined && types.includes(at.type)) return true;
  return false;
}

/** The broker no longer counts this member or generation as current. */
export const isStaleGeneration = (error: unknown): boolean =>
  hasType(error, ['REBALANCE_IN_PROGRESS', 'ILLEGAL_GENERATION', 'UNKNOWN_MEMBER_ID', 'FENCED_INSTANCE_ID']);

export const isTooLarge = (error: unknown): boolean => hasType(error, ['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE']);

export const isUnknownTopic = (error: unknown): boolean => hasType(error, ['UNKNOWN_TOPIC_OR_PARTITION']);

/** There is no such record: it has expired, was never written, or its topic is gone. */
export const isUnread = (error: unknown): boolean => hasType(error, ['OFFSET_OUT_OF_RANGE', 'UNKNOWN_TOPIC_OR_PARTITION']);

/** Passes within moments: a topic was just created, or a partition's leader moved. */
export const isSettling = (error: unknown): boolean =>
  hasType(error, ['NOT_LEADER_FOR_PARTITION', 'LEADER_NOT_AVAILABLE', 'REPLICA_NOT_AVAILABLE', 'NOT_COORDINATOR_FOR_GROUP', 'NOT_CONTROLLER']) ||
  // kafkajs's own, without a type: the metadata it had just asked for did not name the topic.
  [...causes(error)].some(({ name }) => name === 'KafkaJSTopicMetadataNotLoaded');

/** What an operator can repair but no retry will: wrong credentials, missing rights, impossible topic settings. */
export const isRefused = (error: unknown): boolean =>
  hasType(error, [
    'SASL_AUTHENTICATION_FAILED',
    'TOPIC_AUTHORIZATION_FAILED',
    'GROUP_AUTHORIZATION_FAILED',
    'CLUSTER_AUTHORIZATION_FAILED',
    'INVALID_REPLICATION_FACTOR',
    'INVALID_PARTITIONS',
    'INVALID_CONFIG',
    'INVALID_TOPIC_EXCEPTION',
    'POLICY_VIOLATION',
  ]);

/** The innermost message: the outer ones only say that something failed. */
export function reasonOf(error: unknown): string {
  const last = [...causes(error)].at(-1);
  return last === undefined ? String(error) : last.message;
}

/** Everything that is not ours already becomes log_unavailable: whoever asked may try again. */
export function logUnavailable(doing: string, error: unknown): SaccadeError {
  if (error instanceof SaccadeError) return error;
  return new SaccadeError('log_unavailable', `${doing}: ${reasonOf(error)}`, error);
}
