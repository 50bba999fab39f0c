// Small charts in SVG, without a library: stacked bars, a line, a trend, a day by minutes.
const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [480, 180, 44, 22, 8];

export function shape(kind, attributes, ...children) {
  const made = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function picture(label, shapes, height = HEIGHT, width = WIDTH) {
  return shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, ...shapes);
}

// Round steps of 1, 2 or 5 that reach the most.
function ticks(most) {
  const rough = Math.max(most, 1e-9) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, index) => index * step);
}

function axis(most, words) {
  const steps = ticks(most);
  const top = steps.at(-1) || 1;
  const y = (value) => HEIGHT - BOTTOM - (value / top) * (HEIGHT - BOTTOM - TOP);
  const lines = steps.flatMap((value) => [
    shape("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y(value), y2: y(value) }),
    shape("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, words(value)),
  ]);
  return { y, lines };
}

// Least squares over the order of the values: what the next set may be expected to add, and where the line runs.
export function trend(values) {
  const count = values.length;
  if (count < 3) return null;
  const middle = (count - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const spread = values.reduce((sum, _, index) => sum + (index - middle) ** 2, 0);
  const slope = values.reduce((sum, value, index) => sum + (index - middle) * (value - mean), 0) / spread;
  return { slope, first: mean - slope * middle, last: mean + slope * middle };
}

function trendLine(values, x, y) {
  const found = trend(values);
  return found ? [shape("line", { class: "trend", x1: x(0), x2: x(values.length - 1), y1: y(Math.max(0, found.first)), y2: y(Math.max(0, found.last)) })] : [];
}

function ends(labels, x) {
  if (!labels.length) return [];
  const last = labels.length - 1;
  const text = (index, anchor, at) => shape("text", { x: at, y: HEIGHT - 5, "text-anchor": anchor }, labels[index]);
  return last === 0 ? [text(0, "middle", x(0))] : [text(0, "start", LEFT), text(last, "end", WIDTH)];
}

// rows: [[value of each class in order]]
export function bars(label, rows, classes, labels, words, trended) {
  const totals = rows.map((row) => row.reduce((sum, value) => sum + value, 0));
  const { y, lines } = axis(Math.max(1, ...totals), words);
  const step = (WIDTH - LEFT) / Math.max(rows.length, 6);
  const x = (index) => LEFT + (index + 0.5) * step;
  const boxes = rows.flatMap((row, index) => {
    let below = 0;
    return row.map((value, part) => {
      const box = shape("rect", { class: classes[part], x: x(index) - step * 0.36, width: step * 0.72, y: y(below + value), height: Math.max(0, y(below) - y(below + value)), rx: 2 });
      below += value;
      return box;
    });
  });
  return picture(label, [...lines, ...boxes, ...(trended ? trendLine(totals, x, y) : []), ...ends(labels, x)]);
}

export function line(label, values, labels, words, trended) {
  const known = values.map((value, index) => [index, value]).filter(([, value]) => value !== null);
  const { y, lines } = axis(Math.max(1e-6, ...known.map(([, value]) => value)), words);
  const x = (index) => LEFT + 8 + (index * (WIDTH - LEFT - 16)) / Math.max(values.length - 1, 1);
  const path = shape("polyline", { class: "line", points: known.map(([index, value]) => `${x(index)},${y(value)}`).join(" ") });
  const dots = known.map(([index, value]) => shape("circle", { class: "dot", cx: x(index), cy: y(value), r: 3.5 }));
  const complete = known.length === values.length;
  return picture(label, [...lines, path, ...dots, ...(trended && complete ? trendLine(values, x, y) : []), ...ends(labels, x)]);
}

// Which of the hours this minute of the day is in.
export const hourOf = (hours, minute) => hours.findLastIndex((hour) => hour.minute <= minute);

// A day: an hour a row of the clock, a minute a column; each minute filled by what it was. An hour that the clock changed
// in begins at another minute than 0.
export function day(label, minutes, hours) {
  const [cell, row, left] = innerWidth < 760 ? [5, 22, 44] : [15, 20, 48];
  const clock = hours.map(({ begins }) => begins.split(":").map(Number));
  const parts = clock.flatMap(([hour], index) => {
    const blank = shape("rect", { x: left, y: index * row + 2, width: 60 * cell, height: row - 4, rx: 4, fill: "none", class: "grid" });
    return [shape("text", { x: left - 8, y: index * row + 14, "text-anchor": "end" }, `${hour}:00`), blank];
  });
  for (const minute of minutes) {
    const index = hourOf(hours, minute.minute);
    const total = minute.sitting_seconds + minute.away_seconds || 1;
    let from = left + (clock[index][1] + minute.minute - hours[index].minute) * cell;
    const good = minute.sitting_seconds - minute.fault_seconds;
    for (const [kind, seconds] of [["clean", good], ["faulty", minute.fault_seconds], ["away", minute.away_seconds]]) {
      const width = (seconds / total) * (cell - (cell > 9 ? 1 : 0));
      if (width > 0) parts.push(shape("rect", { class: kind, x: from, y: index * row + 3, width, height: row - 6 }));
      from += width;
    }
  }
  return picture(label, parts, hours.length * row, left + 60 * cell);
}

export function legend(entries) {
  const list = Object.assign(document.createElement("ul"), { className: "legend" });
  for (const [kind, words] of entries) {
    const item = document.createElement("li");
    item.append(shape("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" }, shape("rect", { class: kind, width: 10, height: 10, rx: 2 })), words);
    list.append(item);
  }
  return list;
}

export function figure(title, note, ...content) {
  const made = document.createElement("figure");
  const caption = document.createElement("figcaption");
  caption.append(Object.assign(document.createElement("b"), { textContent: title }), Object.assign(document.createElement("span"), { textContent: note }));
  made.append(caption, ...content);
  return made;
}
