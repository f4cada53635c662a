/** A picture with its boxes on a canvas, as sharp as the screen. */
import { colourOf, TEXT_ON_COLOUR } from './colour.js';
import { percent } from './format.js';

const FONT = '600 12px Inter, ui-sans-serif, system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
const TAG_HEIGHT = 20;
/** Beyond these shapes the picture gets bars; where there is much room, an upright one would fill more than the screen. */
const NARROWEST = 0.75;
const NARROWEST_IF_LARGE = 4 / 3;
const LARGE = 480;
const WIDEST = 2;

/**
 * `image`: anything drawable, or null for the boxes alone. `size`: {width, height} of the upright picture, in whose pixels
 * the boxes are. The canvas takes the picture's shape, or the one given (width by height).
 */
export function drawPicture(canvas, image, size, detections, given) {
  const across = canvas.clientWidth || 320;
  const narrowest = across > LARGE ? NARROWEST_IF_LARGE : NARROWEST;
  const shape = given ?? Math.min(WIDEST, Math.max(narrowest, size.width / size.height));
  const wanted = shape.toFixed(4);
  if (canvas.dataset.shape !== wanted) {
    canvas.dataset.shape = wanted;
    canvas.style.aspectRatio = wanted;
  }
  const dpr = Math.min(2, devicePixelRatio || 1);
  const down = across / shape;
  const [width, height] = [Math.round(across * dpr), Math.round(down * dpr)];
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });

  const scale = Math.min(across / size.width, down / size.height);
  const left = (across - size.width * scale) / 2;
  const top = (down - size.height * scale) / 2;
  const context = canvas.getContext('2d');
  context.setTransform(dpr, 0, 0, dpr, 0, 0);
  context.clearRect(0, 0, across, down);
  if (image) context.drawImage(image, left, top, size.width * scale, size.height * scale);

  const taken = [];
  // The best last, so that it lies on top.
  for (const detection of detections.toReversed()) drawBox(context, detection, { scale, left, top });
  for (const detection of detections) drawTag(context, detection, { scale, left, top, across, down }, taken);
}

function corners({ box: [x1, y1, x2, y2] }, { scale, left, top }) {
  return { x: left + x1 * scale, y: top + y1 * scale, w: (x2 - x1) * scale, h: (y2 - y1) * scale };
}

function drawBox(context, detection, place) {
  const { x, y, w, h } = corners(detection, place);
  context.beginPath();
  context.roundRect(x, y, w, h, Math.max(0, Math.min(4, w / 2, h / 2)));
  // A dark rim keeps the line visible on a bright picture.
  context.lineWidth = 4.5;
  context.strokeStyle = 'rgb(8 10 12 / 0.55)';
  context.stroke();
  context.lineWidth = 2;
  context.strokeStyle = colourOf(detection.label);
  context.stroke();
}

function drawTag(context, detection, place, taken) {
  const box = corners(detection, place);
  context.font = FONT;
  const text = `${detection.label} ${percent(detection.score)}`;
  const width = Math.min(context.measureText(text).width + 12, place.across - 2);
  const x = Math.max(1, Math.min(box.x - 1, place.across - width - 1));
  // Above the box; inside it at the border of the picture; lower where another tag is already.
  let y = box.y - TAG_HEIGHT + 1 >= 0 ? box.y - TAG_HEIGHT + 1 : Math.max(0, box.y + 1);
  const hits = (other) => x < other.x + other.width && other.x < x + width && Math.abs(other.y - y) < TAG_HEIGHT;
  for (let tries = 0; tries < 6 && taken.some(hits); tries++) y += TAG_HEIGHT + 1;
  y = Math.min(y, place.down - TAG_HEIGHT);
  taken.push({ x, y, width });

  context.fillStyle = colourOf(detection.label);
  context.beginPath();
  context.roundRect(x, y, width, TAG_HEIGHT, 4);
  context.fill();
  context.fillStyle = TEXT_ON_COLOUR;
  context.textBaseline = 'middle';
  context.fillText(text, x + 6, y + TAG_HEIGHT / 2 + 0.5, width - 12);
}
