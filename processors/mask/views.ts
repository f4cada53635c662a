/** The parts of a picture that a face detector looks at one by one, since it sees neither small faces nor squeezed ones. */

/** Whole pixels of an upright picture. */
export interface View {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/** A view that is stretched by more than this against the other side looks to the detector like nobody. */
const mostStretch = 1.5;
/** Pixels of the picture for one of the detector's in the finest views: a face of 25 pixels is still one of 12 there. */
const finest = 2;
/** Views along a side at most, whatever shape a picture has: 16 runs of 3 ms for a photo of 12 megapixels. */
const mostAlong = 4;
/** Of a view's side that its neighbour sees too: a face at the border of one is whole in the other. */
const overlap = 0.25;

/**
 * The whole picture; where its shape is far from the detector's, parts of that shape along it; and where it is much larger, a
 * grid of finer parts. `input`: what the detector takes, which any view is stretched to.
 */
export function viewsOf(size: Size, input: Size): View[] {
  const shape = input.width / input.height;
  const stretch = size.width / size.height / shape;
  const views: View[] = [{ left: 0, top: 0, ...size }];
  if (Math.max(stretch, 1 / stretch) > mostStretch) {
    const part = { width: Math.min(size.width, size.height * shape), height: Math.min(size.height, size.width / shape) };
    views.push(...grid(size, part));
  }
  const fine = { width: input.width * finest, height: input.height * finest };
  if (size.width > fine.width * mostStretch || size.height > fine.height * mostStretch) {
    views.push(...grid(size, fine));
  }
  return views;
}

/** The smallest part of which `mostAlong` cover a side, overlap included. */
const least = (side: number): number => Math.ceil(side / (mostAlong - (mostAlong - 1) * overlap));

function grid(size: Size, part: Size): View[] {
  const across = along(size.width, Math.round(part.width));
  const down = along(size.height, Math.round(part.height));
  return down.flatMap(({ from: top, length: height }) => across.map(({ from: left, length: width }) => ({ left, top, width, height })));
}

/** Evenly spread parts of a side, the first at its beginning and the last at its end. */
function along(side: number, part: number): { from: number; length: number }[] {
  const length = Math.min(side, Math.max(part, least(side)));
  const count = length === side ? 1 : Math.ceil((side - length) / (length * (1 - overlap)) - 1e-9) + 1;
  return Array.from({ length: count }, (_, i) => ({ from: count === 1 ? 0 : Math.round((i * (side - length)) / (count - 1)), length }));
}
