const made = new Map();

/** The same label has the same colour everywhere and always; all of them carry dark text (over 7:1). */
export function colourOf(label) {
  let colour = made.get(label);
  if (!colour) {
    let hash = 2166136261; // FNV-1a
    for (let i = 0; i < label.length; i++) hash = Math.imul(hash ^ label.charCodeAt(i), 16777619) >>> 0;
    // Steps of 15 degrees: two hues are either clearly apart or the same.
    colour = `oklch(0.84 0.15 ${(((hash ^ (hash >>> 15)) >>> 0) % 24) * 15})`;
    made.set(label, colour);
  }
  return colour;
}

export const TEXT_ON_COLOUR = '#0b0d0f';
