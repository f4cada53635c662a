/** Identical pictures that meet at the engine: the first is run, the others take over what it was answered. */
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

export function flights(): Flights {
  const under = new Map<string, Promise<RowResult | null>>();

  return async (model, inputs, run) => {
    const leaders: Input<Tensor>[] = [];
    const landing = new Map<Input<Tensor>, (result: RowResult | null) => void>();
    const keys: string[] = [];
    const followed = new Map<Input<Tensor>, Promise<RowResult | null>>();
    for (const input of inputs) {
      const { content } = input.value;
      const key = content === null ? null : answerKey(content, model);
      const leader = key === null ? undefined : under.get(key);
      if (leader) {
        followed.set(input, leader);
        continue;
      }
      leaders.push(input);
      if (key === null) continue;
      keys.push(key);
      under.set(key, new Promise((land) => landing.set(input, land)));
    }
    const results = new Map<Input<Tensor>, Landed>();
    try {
      const found = leaders.length > 0 ? await run(leaders) : [];
      leaders.forEach((input, i) => results.set(input, { result: found[i]!, joined: false }));
    } finally {
      for (const key of keys) under.delete(key);
      for (const [input, land] of landing) land(results.get(input)?.result ?? null);
    }
    // Late, given back, ended a worker: that was the leader's, and need not be theirs.
    const alone: Input<Tensor>[] = [];
    for (const [input, leader] of followed) {
      const result = await leader;
      if (result?.ok) results.set(input, { result, joined: true });
      else alone.push(input);
    }
    const found = alone.length > 0 ? await run(alone) : [];
    alone.forEach((input, i) => results.set(input, { result: found[i]!, joined: false }));
    return inputs.map((input) => results.get(input)!);
  };
}
