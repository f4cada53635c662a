/** The faces that the detector which comes with Saccade finds in a picture: with an engine of its own, for as long as it looks. */
import { decodeImage } from '../../processors/preprocess/decode.ts';
import { preprocessConfig } from '../../processors/preprocess/config.ts';
import { findFaces } from '../../processors/masking.ts';
import { realClock } from './camera.ts';
import { engineWith, modelsNamed } from './models.ts';

/** Of those that masking itself would cover, by the certainty it covers from. */
export async function facesIn(bytes: Buffer): Promise<Awaited<ReturnType<typeof findFaces>>> {
  const [faces] = await modelsNamed('ultraface');
  const model = { ...faces!, card: { ...faces!.card, thresholds: { ...faces!.card.thresholds, score: 0.4 } } };
  const engine = await engineWith([model], realClock);
  try {
    return await findFaces({ engine, model }, await decodeImage(bytes, null, preprocessConfig.parse({})));
  } finally {
    await engine.close();
  }
}
