export const help = `Dead letters: the records that could not be processed, with the reason.

  npm run dlq -- list                          what is unhandled, newest first
  npm run dlq -- show frames.dlq/3@17          reason, headers, the picture
  npm run dlq -- replay --code unknown_model   back to where they came from
  npm run dlq -- replay --all --rate 20/s --dry-run
  npm run dlq -- discard --id frames.dlq/3@17 --yes

  list      --limit N [50]  --json (an object a line)  --handled (also those that were handled)
  show ID   --out FILE      where the picture goes [a new folder for temporary files]
  replay    --rate N        records a second [as fast as it goes]    --dry-run
  discard   --yes           without it nothing is discarded, only counted

Which ones (list, replay, discard); a repeated option means any of its values, several options all of them:
  --topic NAME   --code CODE   --source KEY   --since 30m|2h|7d|TIME   --id ID (not list)   --all (replay, discard)

A replay sends the original key, bytes and headers to the topic the record came from, waits until they are acknowledged,
and marks the letter as handled in the topic dlq.handled: replaying twice sends once. Ctrl-C ends it after what is under
way; the next replay goes on with the rest. A record whose reason persists becomes a dead letter again, marked [replayed 1×].
A frame whose deadline has passed is dropped, not inferred. Records already stored keep one row, because:
  - whatever carries an id (frames, tensors, predictions, and frames.in with an id) keeps it, and its outcome is replaced;
  - a plain image in frames.in without the header id gets a new one, the same for all its replays, so they are stored once;
    the outcome of its first life stays dead_lettered beside it;
  - an Avro record in frames.in without an id is a new frame with each replay that is sent. Give your frames ids.

It finds Kafka by KAFKA_BROKERS, else that of the pipeline running on SACCADE_DATA [.saccade].
Exits with 0, 1 when nothing matched or not all was done, 2 when it was asked wrongly, 3 when there is no log to ask.
A list of nothing exits with 0: no dead letters is good news.
`;
