/** ffmpeg, for the tests of video. */
import { findFfmpeg } from '../../processors/camera/ffmpeg.ts';
import { skipUnless } from './components.ts';

function hasFfmpeg(): boolean {
  try {
    findFfmpeg();
    return true;
  } catch {
    return false;
  }
}

export const needsFfmpeg = skipUnless(hasFfmpeg(), 'ffmpeg', 'apt-get install ffmpeg');
