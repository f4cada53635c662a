/** What each bench takes: `npm run bench -- --help` says all of it, `npm run bench -- NAME --help` its own. */
export const benchHelp = {
  latency: `
  latency   one picture at a time over HTTP, by model and phase, beside the same work without a pipeline; and many in one request
            --url URL      the edge (default: that of the pipeline that runs, else one of its own)
            --count N      requests of each model in a round (default 50); --rounds N, the models in turn (default 3)
            --batch N      pictures of a request with several (default 32)
`,
  decode: `
  decode    a 640 x 480 JPEG to tensors: sharp, the fast path, its threads; CPU, clock and the event loop
            --count N      pictures of a round (default 200); --rounds N (default 5)
`,
  pipeline: `
  pipeline  frames in Kafka to rows in ClickHouse, chained and fused, beside the same work without Kafka and a Python worker;
            starts its own Kafka and ClickHouse, and makes a virtual environment for the Python peers
            --frames N     640 x 480 JPEGs of a run (default 3000)
            --repeats N    rounds, the contestants in turn (default 3)
            --only LIST    of: floor, python loop, chained, fused, python worker
`,
  scale: `
  scale     a second infer worker, as a thread and as a process that joins, beside one: the engine alone and the whole pipeline
            --model NAME   [nanodet]; --frames N of a run (default 200); --repeats N (default 2): 3 minutes on two cores
`,
  access: `
  access    what it costs a request to be asked who asks, to be counted and to be put on the audit trail
            --count N      requests of a round (default 4000); --rounds N (default 7)
`,
  cache: `
  cache     what the cache of answers costs a picture that never repeats, and saves one that does
            --redis URL    measure that Redis too, REDIS_PASSWORD as its password (default: in memory alone)
            --count N      frames of each kind in a round (default 160); --rounds N (default 7)
`,
  drift: `
  drift     false alarms a simulated month, and how soon each change of a camera is seen, beside Evidently and SciPy
            --media PATH   a video, or a folder of pictures (default media/); --frames N of it (default 3000)
            --months N     simulated without a change (default 3); --trials N of each change (default 40)
            --alpha A      in place of drift's own; --cache FOLDER of what the models said; --no-peers
`,
  http: `
  http      pictures over HTTP beside Mosec, FastAPI, LitServe and BentoML on the same model, at 16 connections and at one; then 50 to 300
            users, half load, bursts, batches, pictures seen before, reads, 1,000 sockets alone and beside 300 users, and overload; starts its own
            Kafka and ClickHouse
            --seconds S    of each run (default 8); --rounds N of the contest (default 3)
            --peers LIST   of: mosec, fastapi, litserve, bentoml; empty: none
            --profiles LIST  those whose name has one of these words in it (default: all)
            --fuse LIST    neighbours run as one step, as of npm start; --edge-apart  the edge as a process of its own
`,
  journal: `
  journal   what it costs a record to be journalled while it is in native code
            --count N      records of a round (default 5000); --rounds N (default 9)
`,
  sink: `
  sink      predictions through the sink's own path into ClickHouse, and its parts; starts its own ClickHouse
            --rows N       rows of a round (default 40000); --rounds N (default 3)
`,
  sql: `
  sql       the saved queries over a year of synthetic predictions, and sizes on disk; starts its own ClickHouse
            --rows N       predictions of that year (default 20000000); --cameras N (default 50); --rounds N (default 5)
            --data FOLDER  keep it there, and use what is there; --only LIST of queries
`,
  stream: `
  stream    video over WebSockets: one source beside the same frames over HTTP, and sixteen; starts its own Kafka and ClickHouse
            --seconds S    of each run (default 20; 120 with --sockets); --rounds N (default 3); --model NAME
            --sockets N    instead: as many sockets, each a frame every --every S (default 5), and the edge's memory
`,
  transactions: `
  transactions   a hop with Kafka's transactions beside the runtime's delivery; starts its own Kafka, unless KAFKA_BROKERS names one
            --sizes LIST   records of a batch (default 1,16,100); --rounds N (default 3)
            --batches N    batches of a run (default 400), of no more than --records N (default 10000), as fast as they go
            --rate N       batches a second, for the latency (default 5); --seconds S of that (default 20)
`,
  'rolling-restart': `
  rolling-restart   every stage as two processes, each restarted in turn under load; starts its own Kafka and ClickHouse
            --rate N       frames a second (default 10); --requests N over HTTP (default 2)
            --each N       processes of each stage (default 2)
            --stages LIST  stages that are restarted (default all)
            --steady S     seconds before the first restart (default 20); --settle S after each (default 2)
`,
  backpressure: `
  backpressure   sources ten times as fast as inference, a live one and one of files: memory of every process, and what became of the frames
            --seconds S    of load (default 120); --limit M of MiB for each process (default 600); --out FOLDER for the picture
`,
  pruning: `
  pruning   the smaller weights of a model set to zero: CPU of a row and agreement with the model, by share
            --model NAME   [efficientnet-lite0@1]; --shares LIST [0.3,0.5,0.7]; --count N tensors of a round [21]; --rounds N [3]
`,
  reads: `
  reads     what the reading routes ask of the store, milliseconds by how much lies there, one at a time and then ten a second beside
            writes; at the end of a week, when the most rows lie in it; starts its own ClickHouse
            --rows LIST    rows there (default 100000,1000000); --count N of each question (default 20)
            --writes N     rows a second that are written meanwhile (default 200)
`,
  fuzz: `
  fuzz      malformed requests against a pipeline that runs: what it answers, and whether its memory comes back
            --url URL      the edge (default: the one in <data>/run.json)
            --count N      requests (default 10000); --rounds N (default 4), of a seed each, from --seed N (default 1); --at-once N (default 8)
`,
  fairness: `
  fairness  a slow camera beside a flood on its partition, with a quota and without
            --seconds S    of each phase (default 30); --rounds N (default 2)
            --slow N       frames a second of the camera (default 2); --flood N of the flood (default 300)
`,
} as const satisfies Readonly<Record<string, string>>;

export type BenchName = keyof typeof benchHelp;

export const allHelp = `npm run bench -- NAME [options]
${Object.values(benchHelp).join('')}`;
