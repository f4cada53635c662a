/** Documents in, answers out: parsed, measured, validated and run. Errors are worded by the one table. */
import { readFileSync } from 'node:fs';
import {
  buildSchema, type DocumentNode, execute, type ExecutionResult, type GraphQLFieldResolver, GraphQLError, type GraphQLScalarType, getOperationAST, Kind, type OperationDefinitionNode, parse, type SelectionSetNode, subscribe, validate,
} from 'graphql';
import { SaccadeError } from '../../../connectors/errors.ts';
import { asProblem, problemBody } from '../problem.ts';
import type { Principal } from '../principal.ts';
import { keptDocuments } from './documents.ts';
import { checkLimits, fragmentsOf, mostTokens } from './limits.ts';
import { fileOf } from './upload.ts';

/** What a resolver is given besides its arguments. */
export interface Asked {
  readonly principal: Principal;
  readonly traceparent: string | undefined;
}

export type Resolver = (args: Readonly<Record<string, unknown>>, asked: Asked) => unknown;
export interface Resolvers {
  readonly query: Readonly<Record<string, Resolver>>;
  readonly mutation: Readonly<Record<string, Resolver>>;
  readonly subscription: Readonly<Record<string, (args: Readonly<Record<string, unknown>>, asked: Asked) => AsyncIterable<unknown>>>;
}

export interface Request {
  readonly query: string;
  readonly variables?: Readonly<Record<string, unknown>> | null | undefined;
  readonly operationName?: string | null | undefined;
}

export interface Answer {
  readonly data?: unknown;
  readonly errors?: readonly { readonly extensions: { readonly status: number } }[];
}

export interface Answers extends AsyncIterableIterator<Answer> {
  /** Ends it at once, also while it waits. */
  return(): Promise<IteratorResult<Answer>>;
}

/** `about`: what was asked, for the record: `mutation infer, infer`; empty where it could not be read. */
export type Ran = { readonly about: string } & ({ readonly status: number; readonly answer: Answer } | { readonly stream: Answers });

export interface GraphqlEngine {
  /** Never rejects: what is wrong is in the answer. A subscription answers each of its values. `status` is for HTTP. */
  run(request: Request, asked: Asked): Promise<Ran>;
}

const snake = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** A record of timings as the list that GraphQL, which has no records, makes of it. */
const timings = (value: unknown): unknown => Object.entries(value as Record<string, number>).map(([phase, ms]) => ({ phase, ms }));

/** The fields of the HTTP API by the names that GraphQL gives them. */
const field: GraphQLFieldResolver<unknown, Asked> = (source, _args, _asked, { fieldName }) => {
  const value = (source as Record<string, unknown>)[snake(fieldName)];
  return fieldName === 'timingsMs' ? timings(value) : value;
};

export function graphqlEngine({ query, mutation, subscription }: Resolvers): GraphqlEngine {
  const schema = buildSchema(readFileSync(new URL('../../../schemas/api/schema.graphql', import.meta.url), 'utf8'));
  const roots = [[schema.getQueryType(), query], [schema.getMutationType(), mutation]] as const;
  for (const [type, resolvers] of roots) for (const [name, resolver] of Object.entries(resolvers)) type!.getFields()[name]!.resolve = (_root, args, asked: Asked) => resolver(args, asked);
  for (const [name, resolver] of Object.entries(subscription)) {
    const root = schema.getSubscriptionType()!.getFields()[name]!;
    root.subscribe = (_root, args, asked: Asked) => resolver(args, asked);
    root.resolve = (value) => value;
  }
  const noFile = (): never => {
    throw new GraphQLError('An Upload is a file of a form: the GraphQL multipart request specification says how it is sent.');
  };
  Object.assign(schema.getType('Upload') as GraphQLScalarType, { parseValue: (value: unknown) => fileOf(value) ?? noFile(), parseLiteral: noFile });
  const documents = keptDocuments();

  function operationOf(document: DocumentNode, name: string | null | undefined): OperationDefinitionNode {
    const operation = getOperationAST(document, name);
    if (operation) return operation;
    const count = document.definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION).length;
    throw new SaccadeError('bad_request', count === 0 ? 'The document has no operation.' : 'The document has several operations: operationName says which.');
  }

  return {
    async run({ query: text, variables, operationName }, asked) {
      let about = '';
      try {
        const known = documents.get(text);
        const document = known ?? parse(text, { maxTokens: mostTokens });
        const operation = operationOf(document, operationName);
        about = describe(document, operation);
        checkLimits(document, operation, variables ?? {});
        if (!known) {
          const faults = validate(schema, document, undefined, { maxErrors: 10 });
          if (faults.length > 0) return { about, status: 400, answer: { errors: faults.map(worded) } };
          documents.keep(text, document);
        }
        const run = { schema, document, contextValue: asked, variableValues: variables ?? {}, operationName: operationName ?? undefined, fieldResolver: field };
        if (operation.operation !== 'subscription') return { about, status: 200, answer: told(await execute(run)) };
        const stream = await subscribe(run);
        return Symbol.asyncIterator in stream ? { about, stream: each(stream) } : { about, status: 200, answer: told(stream) };
      } catch (error) {
        const fault = worded(error instanceof GraphQLError ? error : new GraphQLError('', { originalError: asProblem(error) }));
        return { about, status: fault.extensions.status, answer: { errors: [fault] } };
      }
    },
  };
}

function describe(document: DocumentNode, { operation, selectionSet }: OperationDefinitionNode): string {
  const fragments = fragmentsOf(document);
  // Each fragment once: the document is not validated yet, and one may hold itself.
  const followed = new Set<string>();
  function fields({ selections }: SelectionSetNode): string[] {
    return selections.flatMap((one) => {
      if (one.kind === Kind.FIELD) return one.name.value;
      if (one.kind === Kind.INLINE_FRAGMENT) return fields(one.selectionSet);
      const fragment = followed.has(one.name.value) ? undefined : fragments.get(one.name.value);
      followed.add(one.name.value);
      return fragment ? fields(fragment.selectionSet) : `...${one.name.value}`;
    });
  }
  return `${operation} ${fields(selectionSet).join(', ')}`;
}

/** No generator: one that waits for its next value would hear of its end only after that. */
function each(stream: AsyncGenerator<ExecutionResult>): Answers {
  return {
    async next() {
      const { done, value } = await stream.next();
      return done === true ? { done, value: undefined } : { done: false, value: told(value as ExecutionResult) };
    },
    async return() {
      await stream.return(undefined);
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

const told = ({ data, errors }: ExecutionResult): Answer => ({ ...(data === undefined ? {} : { data }), ...(errors ? { errors: errors.map(worded) } : {}) });

/** What a resolver threw, by the table; what is wrong with the document itself is a bad request, in GraphQL's own words. */
function worded({ message, originalError, locations, path }: GraphQLError) {
  const cause = originalError && !(originalError instanceof GraphQLError) ? asProblem(originalError) : new SaccadeError('bad_request', message);
  const { code, status, title, detail } = problemBody(cause);
  return { message: detail === undefined ? title : detail, ...(locations ? { locations } : {}), ...(path ? { path } : {}), extensions: { code, status } };
}
