import { createRequire } from 'node:module';

/** A module of kafkajs, loaded anew: it shares nothing with any other. */
export function copyOfKafkajs<Module>(path: string): Module {
  const require = createRequire(import.meta.url);
  for (const loaded of Object.keys(require.cache)) if (loaded.includes('/kafkajs/')) delete require.cache[loaded];
  return require(`kafkajs/src/${path}`) as Module;
}
