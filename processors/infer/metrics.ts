/** What the engine chose on this machine, and which version answers, read at each scrape. */
import { Gauge, type Registry } from 'prom-client';
import type { Engine } from './engine.ts';
import type { Serving } from './serving.ts';

export function inferMetrics(registry: Registry, engine: Engine, servings: () => Iterable<Serving>): void {
  const gauge = (name: string, help: string, labelNames: string[], read: (gauge: Gauge) => void): void => {
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset();
        read(this as Gauge);
      },
    });
  };
  const each = (tell: (serving: Serving, model: string, version: string) => void): void => {
    for (const serving of servings()) if (!serving.idle) tell(serving, serving.name, serving.current().model.card.version);
  };
  gauge('saccade_infer_workers', 'Inference worker threads.', [], (all) => all.set(engine.workers));
  gauge('saccade_model_info', 'The version that answers, the execution provider it runs on, and the version it stands in for.', ['model', 'version', 'provider', 'fallback_for'], (all) =>
    each((serving, model, version) => {
      const { model: served, insteadOf } = serving.current();
      all.set({ model, version, provider: engine.about(served).provider, fallback_for: insteadOf ?? '' }, 1);
    }),
  );
  gauge('saccade_model_fallback', '1 while a fallback answers instead of the version that should.', ['model'], (all) =>
    each((serving, model) => all.set({ model }, serving.current().insteadOf === null ? 0 : 1)),
  );
  gauge('saccade_infer_run_rows', 'Rows a run takes at most.', ['model', 'version'], (all) =>
    each((serving, model, version) => all.set({ model, version }, engine.about(serving.current().model).policy.rows)),
  );
  gauge('saccade_infer_warm_seconds', 'Seconds a row, by rows of a run, measured when the model was loaded.', ['model', 'version', 'rows'], (all) =>
    each((serving, model, version) => {
      for (const { rows, ms } of engine.about(serving.current().model).policy.measured) all.set({ model, version, rows }, ms / 1000);
    }),
  );
}
