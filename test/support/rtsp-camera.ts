/** A camera for tests: as much of RTSP 1.0 (RFC 2326, interleaved over TCP) as a client needs to be shown a moving test picture. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';

export interface RtspCamera {
  readonly url: string;
  /** Clients that were shown pictures. */
  plays(): number;
  /** Ends the connections, as a camera that restarts. */
  hangUp(): void;
  close(): Promise<void>;
}

const description = 'v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nt=0 0\r\nm=video 0 RTP/AVP 26\r\na=control:track1\r\n';

export async function rtspCamera(ffmpeg: string): Promise<RtspCamera> {
  // ffmpeg makes the RTP packets, over UDP; each is passed on to whoever plays.
  const packets = createSocket('udp4').bind(0, '127.0.0.1');
  await once(packets, 'listening');
  const rtp = `rtp://127.0.0.1:${packets.address().port}?pkt_size=1300`;
  const film: ChildProcess = spawn(
    ffmpeg,
    ['-loglevel', 'error', '-re', '-f', 'lavfi', '-i', 'testsrc=size=160x120:rate=20', '-c:v', 'mjpeg', '-pix_fmt', 'yuvj420p', '-huffman', 'default', '-force_duplicated_matrix', '1', '-f', 'rtp', rtp],
    { stdio: 'ignore' },
  );
  const connected = new Set<Socket>();
  const playing = new Set<Socket>();
  let plays = 0;
  packets.on('message', (packet) => {
    const head = Buffer.from([0x24, 0, packet.length >> 8, packet.length & 0xff]);
    for (const socket of playing) socket.write(Buffer.concat([head, packet]));
  });

  const server = createServer((socket) => {
    connected.add(socket);
    let text = '';
    socket.on('error', () => undefined).on('close', () => {
      connected.delete(socket);
      playing.delete(socket);
    });
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
        answer(socket, text.slice(0, end));
        text = text.slice(end + 4);
      }
    });
  });
  function answer(socket: Socket, request: string): void {
    const [method] = request.slice(request.search(/[A-Z]/)).split(' ', 1);
    const sequence = /CSeq: *(\d+)/i.exec(request)?.[1] ?? '0';
    const reply = (headers: readonly string[], body = ''): boolean =>
      socket.write(`RTSP/1.0 200 OK\r\nCSeq: ${sequence}\r\n${headers.map((line) => `${line}\r\n`).join('')}\r\n${body}`);
    if (method === 'DESCRIBE') reply(['Content-Type: application/sdp', `Content-Length: ${description.length}`], description);
    else if (method === 'SETUP') reply(['Session: 1', 'Transport: RTP/AVP/TCP;unicast;interleaved=0-1']);
    else if (method === 'OPTIONS') reply(['Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN']);
    else reply(['Session: 1']);
    if (method !== 'PLAY') return;
    plays += 1;
    playing.add(socket);
  }
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  const hangUp = (): void => {
    for (const socket of connected) socket.destroy();
  };
  return {
    url: `rtsp://127.0.0.1:${(server.address() as { port: number }).port}/test`,
    plays: () => plays,
    hangUp,
    async close() {
      hangUp();
      server.close();
      film.kill('SIGKILL');
      if (film.exitCode === null) await once(film, 'exit');
      packets.close();
    },
  };
}
