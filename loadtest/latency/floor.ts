/** The same work with nothing around it: decode, cut and run, one picture at a time on this thread. */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { loadModels } from '../../connectors/models/repository.ts';
import { fastCutter } from '../../processors/preprocess/fast-jpeg/cut.ts';
import { plainJpeg } from '../../processors/preprocess/fast-jpeg/header.ts';

export interface Floor {
  /** Milliseconds of one picture. */
  once(picture: Buffer): Promise<number>;
  close(): Promise<void>;
}

export async function openFloor(name: string): Promise<Floor> {
  const [model] = await loadModels('models', [name]);
  const { input } = model!.card;
  const session = await InferenceSession.create(model!.path, { executionProviders: ['cpu'], intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3 });
  const cut = fastCutter();
  return {
    async once(picture) {
      const startedAt = performance.now();
      const [pixels] = cut(picture, plainJpeg(picture)!, [input]).tensors;
      await session.run({ [input.name]: new Tensor('uint8', pixels!, [1, input.height, input.width, 3]) });
      return performance.now() - startedAt;
    },
    close: () => session.release(),
  };
}
