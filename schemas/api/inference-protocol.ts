/** The Open Inference Protocol, version 2 (the KServe community's specification), with its extension for binary tensors. */
import { z } from 'zod';

const parameters = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));
const dimension = z.int().min(0).max(0x7fff_ffff);

export const inferInputSchema = z.object({
  name: z.string(),
  shape: z.array(dimension).min(1).max(8),
  datatype: z.string(),
  parameters: parameters.optional().describe('binary_data_size: its bytes follow the JSON, in the order of the inputs.'),
  data: z.array(z.unknown()).optional().describe('Of BYTES base64; nested as the shape or flat.'),
});

export const inferRequestSchema = z.object({
  id: z.string().max(256).optional(),
  parameters: parameters.optional().describe('binary_data_output: outputs are binary unless they say otherwise.'),
  inputs: z.array(inferInputSchema).min(1).max(8),
  outputs: z.array(z.object({ name: z.string(), parameters: parameters.optional() })).max(16).optional().describe('Those wanted; without it all.'),
});

export const inferResponseSchema = z
  .object({
    model_name: z.string(),
    model_version: z.string(),
    id: z.string().optional(),
    outputs: z.array(z.object({ name: z.string(), shape: z.array(z.int()), datatype: z.string(), parameters: parameters.optional(), data: z.array(z.union([z.string(), z.number()])).optional() })),
  })
  .meta({ id: 'InferResponse' });

const tensorSchema = z.object({ name: z.string(), datatype: z.string(), shape: z.array(z.int()).describe('-1: any.') });

export const modelMetadataSchema = z
  .object({ name: z.string(), versions: z.array(z.string()), platform: z.string(), inputs: z.array(tensorSchema), outputs: z.array(tensorSchema) })
  .meta({ id: 'ModelMetadata' });

export const serverMetadataSchema = z.object({ name: z.string(), version: z.string(), extensions: z.array(z.string()) }).meta({ id: 'ServerMetadata' });
export const protocolErrorSchema = z.object({ error: z.string() }).meta({ id: 'ProtocolError' });

export type InferInput = z.infer<typeof inferInputSchema>;
export type InferRequest = z.infer<typeof inferRequestSchema>;
export type InferResponse = z.infer<typeof inferResponseSchema>;
export type ModelMetadata = z.infer<typeof modelMetadataSchema>;
