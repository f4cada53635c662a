// A worker of Node 20 does not get the TypeScript loader its parent was started with: it registers it itself.
import { register } from 'tsx/esm/api';

register();
await import('./worker.ts');
