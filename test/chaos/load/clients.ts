/** The clients of the edge: each repeats its request under one Idempotency-Key until it is answered. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Drawn } from './draw.ts';
import type { Ledger, OfferedFrame } from './ledger.ts';

export interface Clients {
  offer(drawn: Drawn): void;
  idle(): Promise<void>;
}

const patienceMs = 90_000;
const oneRequestMs = 20_000;

export function clients({ url, ledger }: { url: string; ledger: Ledger }): Clients {
  const open = new Set<Promise<void>>();

  async function ask({ key, bytes, models }: Drawn): Promise<'accepted' | 'refused' | 'unknown'> {
    try {
      const response = await fetch(`${url}/v1/infer?model=${models[0]}`, {
        method: 'POST',
        headers: { 'content-type': 'image/jpeg', 'idempotency-key': key },
        body: new Uint8Array(bytes),
        signal: AbortSignal.timeout(oneRequestMs),
      });
      await response.arrayBuffer();
      // 504: accepted, and the answer came too late for the client.
      if (response.status === 200 || response.status === 504) return 'accepted';
      return response.status < 500 ? 'refused' : 'unknown';
    } catch {
      return 'unknown';
    }
  }

  async function insist(drawn: Drawn, frame: OfferedFrame): Promise<void> {
    let perhaps = false;
    for (const until = Date.now() + patienceMs; Date.now() < until; await sleep(1_000)) {
      const answer = await ask(drawn);
      if (answer === 'unknown') {
        perhaps = true;
        continue;
      }
      // A refusal says nothing of an earlier attempt whose answer was lost.
      if (answer === 'refused') return ledger.settle(frame, perhaps ? 'unacknowledged' : 'refused');
      ledger.acknowledge(frame);
      if (drawn.kind === 'request_twice') await ask(drawn);
      return;
    }
    ledger.settle(frame, 'unacknowledged');
  }

  return {
    offer(drawn) {
      const asking = insist(drawn, ledger.offer(drawn)).finally(() => open.delete(asking));
      open.add(asking);
    },
    async idle() {
      while (open.size > 0) await Promise.all(open);
    },
  };
}
