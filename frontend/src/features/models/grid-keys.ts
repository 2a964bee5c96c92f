/** Where an arrow key leads in a grid that is filled row by row; null for keys that lead nowhere. */
export function nextInGrid(
  key: string,
  at: number,
  count: number,
  columns: number,
  rowsPerPage: number,
): number | null {
  const step: Readonly<Record<string, number>> = {
    ArrowLeft: -1,
    ArrowRight: 1,
    ArrowUp: -columns,
    ArrowDown: columns,
    PageUp: -columns * rowsPerPage,
    PageDown: columns * rowsPerPage,
    Home: -count,
    End: count,
  };
  const by = step[key];
  if (by === undefined || count === 0) {
    return null;
  }
  const next = at + by;
  const isVertical = key === "ArrowUp" || key === "ArrowDown";
  if (isVertical && (next < 0 || next >= count)) {
    return at;
  }
  return Math.min(Math.max(next, 0), count - 1);
}
