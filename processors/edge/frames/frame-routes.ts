/** GET /v1/frames/{id}/image: the picture of a frame, wherever it can still be had. */
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { SaccadeError } from '../../../connectors/errors.ts';
import type { Shown } from '../../../connectors/ports.ts';
import type { LiveFeed } from '../live-routes.ts';
import { problems } from '../openapi/problems.ts';
import { sendPicture } from './send-picture.ts';

/** As its tenant may see it; null when it is not there. Each throws what keeps it from being shown. */
type Find = (tenant: string, frameId: string) => Promise<Shown | null>;

export interface FramePictures {
  /** Of the pictures that are kept. */
  readonly shown: Find;
  /** From the log, which holds every picture for some hours. */
  readonly fromLog: Find;
}

const schema = {
  tags: ['history'],
  summary: 'The picture of a frame',
  description:
    'With its faces covered, where its tenant wants that. Samples of each source, what a model was unsure of and examples of drift are kept for days (SACCADE_KEEP_FRAMES_DAYS); any other frame can be had for as long as the topic `frames` holds it and the store knows it.',
  params: z.object({ id: z.uuid().describe('Of the frame.') }),
  response: { 200: z.any().describe('JPEG, PNG or WebP.'), ...problems('not_found', 'store_unavailable', 'log_unavailable', 'blobs_unavailable', 'masking_unavailable', 'undecodable_image') },
};

export function frameRoutes(server: FastifyInstance, { live, kept }: { readonly live: LiveFeed; readonly kept?: FramePictures | undefined }): void {
  /** The cheapest first. */
  async function find(tenant: string, id: string): Promise<Shown | null> {
    return (await kept?.shown(tenant, id)) ?? (await live.of(tenant).picture(id)) ?? (await kept?.fromLog(tenant, id)) ?? null;
  }

  server.withTypeProvider<ZodTypeProvider>().get('/v1/frames/:id/image', { schema, config: { needs: 'viewer' } }, async (request, reply) => {
    const picture = await find(request.principal.tenant, request.params.id.toLowerCase());
    if (!picture) throw new SaccadeError('not_found', 'The picture of this frame is neither kept nor in the log any more.');
    return sendPicture(request, reply, picture);
  });
}
