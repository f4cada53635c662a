/** Wires the stream of events to the parts of the page. */
import { offerModels, startAsk } from './ask.js';
import { showChain } from './chain.js';
import { byId, setText } from './dom.js';
import { startDrift } from './drift.js';
import { follow } from './feed.js';
import { amount } from './format.js';
import { showLatency } from './latency.js';
import { showFrame, showPace } from './sources.js';
import { showEndings, showRecent, startTables } from './tables.js';
import { offerVideoModels, startVideo } from './video.js';

const states = {
  connecting: 'connecting',
  live: 'live',
  lost: 'connection lost, reconnecting',
  paused: 'paused while hidden',
};

function showState(state) {
  byId('connection').dataset.state = state;
  document.body.dataset.connection = state;
  setText(byId('connection-text'), states[state]);
}

/** The models there are, by the stages that run them. */
const modelsOf = (stages) => stages.filter(({ stage }) => stage.startsWith('infer.')).map(({ stage }) => stage.slice('infer.'.length));

function showStats(stats) {
  setText(byId('frames-rate'), amount(stats.total.frames_rate));
  setText(byId('answers-rate'), amount(stats.total.answers_rate));
  showChain(stats.stages);
  const models = modelsOf(stats.stages);
  offerModels(models);
  offerVideoModels(models);
  showPace(stats.sources, stats.at);
  showLatency(stats);
  showRecent(stats.recent);
  showEndings(stats.endings, stats.since);
  setText(byId('trouble'), stats.trouble ?? '');
  byId('trouble').hidden = stats.trouble === null;
}

for (const node of document.querySelectorAll('.origin')) setText(node, location.host);
startTables();
startAsk();
startVideo();
startDrift();
follow('/live/events', {
  state: showState,
  snapshot(snapshot) {
    for (const frame of snapshot.frames) showFrame(frame);
    showStats(snapshot);
  },
  stats: showStats,
  frame: showFrame,
});
