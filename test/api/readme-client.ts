import { openAsBlob } from 'node:fs';
import { saccade } from '../../schemas/api/client.ts';

const client = saccade(process.argv[2] ?? 'http://127.0.0.1:8080');
const picture = await openAsBlob('media/coffee.jpg', { type: 'image/jpeg' });

const { predictions = [] } = await client.infer(picture, { model: 'efficientnet-lite0' });
console.log(predictions[0]?.label);

const accepted = await client.send(picture, { model: 'nanodet', idempotencyKey: 'order-7' });
console.log((await client.outcome(accepted)).outcomes);

for await (const { captured_at, source, answer } of client.everyPrediction({ label: 'cup', min_score: 0.5 })) {
  console.log(captured_at, source, answer?.detections?.length);
}
