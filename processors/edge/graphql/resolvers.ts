/** The questions of GraphQL, answered by what answers those of HTTP. */
import { z } from 'zod';
import { SaccadeError } from '../../../connectors/errors.ts';
import type { Clock } from '../../../connectors/ports.ts';
import { driftQuerySchema } from '../../../schemas/api/drift.ts';
import { historyQuerySchema, type Seen } from '../../../schemas/api/history.ts';
import { statsQuerySchema } from '../../../schemas/api/stats.ts';
import type { Prediction } from '../../../schemas/records.ts';
import { atLeast } from '../../../schemas/roles.ts';
import { meantModel } from '../../ingest/accept.ts';
import { answerOf } from '../answer.ts';
import { driftOf } from '../drift/drift-of.ts';
import { historyOf } from '../history/history.ts';
import { resultOf } from '../history/results.ts';
import { statsOf } from '../history/stats.ts';
import { seenOf } from '../history/stored-prediction.ts';
import type { Intake } from '../intake.ts';
import type { Ledger } from '../ledger.ts';
import type { ModelCatalog } from '../models/catalog.ts';
import { describeModels } from '../models/models-routes.ts';
import type { RecentResults } from '../recent-results.ts';
import { coversModel, historyWithin, modelWithin, requestSource, resultWithin, sourceWithin } from '../scope.ts';
import { startRequestSpan } from '../spans.ts';
import type { AskStore } from '../store-reader.ts';
import type { Asked, Resolvers } from './engine.ts';
import { feed } from './feed.ts';

export interface GraphqlOptions {
  readonly ask: AskStore;
  readonly results: RecentResults;
  readonly catalog: ModelCatalog;
  readonly intake: Intake;
  /** Counts each picture: a document may hold several. */
  readonly ledger: Ledger;
  readonly clock: Clock;
  /** Of the process, in milliseconds since the epoch. */
  readonly startedAt: number;
  /** Every prediction of the tenant as it comes, until the answered function is called. */
  follow(tenant: string, listener: (prediction: Prediction) => void): () => void;
}

type Args = Readonly<Record<string, unknown>>;

/** By the schema of the HTTP route, whose values are text under its own names. Throws bad_request naming the argument. */
function read<T>(schema: z.ZodType<T>, args: Args): T {
  const given = Object.entries(args).filter(([, value]) => value !== null && value !== undefined);
  const parsed = schema.safeParse(Object.fromEntries(given.map(([name, value]) => [name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), `${value as string}`])));
  if (parsed.success) return parsed.data;
  throw new SaccadeError('bad_request', parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '));
}

const base64 = /^[A-Za-z0-9+/]+={0,2}$/;
const inferArgs = z.object({ image: z.string().optional(), model: z.string().optional(), idempotency_key: z.string().max(256).optional() });
const resultArgs = z.object({ id: z.guid(), model: z.string().max(128).optional() });

/** Throws bad_request. */
function pictureOf(image: string | undefined, file: unknown): Buffer {
  if ((image === undefined) === !Buffer.isBuffer(file)) throw new SaccadeError('bad_request', 'Either image, in base64, or file is expected.');
  if (Buffer.isBuffer(file)) return file;
  if (!base64.test(image!)) throw new SaccadeError('bad_request', 'image: base64 is expected.');
  return Buffer.from(image!, 'base64');
}

export function resolversOf({ ask, results, catalog, intake, ledger, clock, startedAt, follow }: GraphqlOptions): Resolvers {
  const { inquiries, metrics, rules } = intake;
  const now = (): number => clock.now();

  async function infer({ file, ...args }: Args, { principal, traceparent: caller }: Asked): Promise<unknown> {
    if (!atLeast(principal.role, 'operator')) throw new SaccadeError('forbidden', `This needs the role operator; yours is ${principal.role}.`);
    sourceWithin(principal.scope, requestSource);
    await ledger.count(principal, 'predict');
    const { image, model: named, idempotency_key: key } = read(inferArgs, args);
    const wanted = modelWithin(principal.scope, named);
    const picture = pictureOf(image, file);
    const begun = now();
    intake.accepting();
    const span = startRequestSpan('POST /graphql infer', caller, begun);
    try {
      const model = meantModel(wanted, rules);
      const inquirer = { tenant: principal.tenant, id: principal.id, traceparent: span.traceparent, startedAt: begun, waits: true };
      const [asked] = await inquiries.ask([{ image: picture, model, key: key || null }], inquirer);
      if (asked === undefined || asked instanceof SaccadeError) throw asked;
      const answer = answerOf(await asked.answer);
      metrics.answered(model, (now() - begun) / 1000);
      span.end(200);
      return answer;
    } catch (error) {
      metrics.refused(error instanceof SaccadeError ? error.code : 'internal');
      span.end(error instanceof SaccadeError ? error.status : 500, error);
      throw error;
    }
  }

  return {
    query: {
      predictions: (args, { principal }) => historyOf(principal.tenant, historyWithin(principal.scope, read(historyQuerySchema, args)), { ask, now: now() }),
      stats: (args, { principal }) => statsOf(principal.tenant, historyWithin(principal.scope, read(statsQuerySchema, args)), { ask, now: now(), startedAt }),
      drift: (args, { principal }) => driftOf(principal.tenant, historyWithin(principal.scope, read(driftQuerySchema, args)), { ask, now: now() }),
      models: (_args, { principal }) => describeModels(catalog, principal.scope),
      result(args, { principal }) {
        const { id, model } = read(resultArgs, args);
        return resultOf({ tenant: principal.tenant, id: id.toLowerCase(), model: resultWithin(principal.scope, model), accepted: undefined }, { ask, results, now });
      },
    },
    mutation: { infer },
    subscription: {
      predictions(args, { principal }) {
        sourceWithin(principal.scope, String(args.source));
        return feed<Prediction, Seen>((listener) => follow(principal.tenant, listener), (prediction) => {
          const { source, model } = prediction;
          return source === args.source && coversModel(principal.scope, model) && (args.model === undefined || args.model === null || model === args.model) ? seenOf(prediction) : null;
        });
      },
    },
  };
}
