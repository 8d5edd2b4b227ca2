/** A picture read back for the tests: that it is well-formed XML, what is written in it and where, what is drawn. */
import { textWidth } from "./svg.ts";

const TOKEN = /<(\/?)([a-z]+)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>|([^<]+)/gi;
const ENTITY = /&(?!(amp|lt|gt|quot);)/;

export interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  text: string;
}

/** Every element in order. Throws where this is not one tree of well-formed XML. */
export function parseSvg(svg: string): Element[] {
  const elements: Element[] = [];
  const open: Element[] = [];
  let end = 0;
  for (const { 0: token, 1: closing, 2: name, 3: attributes, 4: empty, 5: text, index } of svg.matchAll(TOKEN)) {
    if (index !== end) throw new Error(`no XML: ${svg.slice(end, end + 60)}`);
    end = index + token.length;
    if (ENTITY.test(token)) throw new Error(`unknown entity: ${token}`);
    if (name === undefined) {
      const parent = open.at(-1);
      if (parent !== undefined) parent.text += decode(text ?? "");
      else if (text?.trim()) throw new Error(`text outside the root: ${text}`);
    } else if (closing) {
      const opened = open.pop()?.name;
      if (opened !== name) throw new Error(`</${name}> closes <${opened}>`);
    } else {
      if (open.length === 0 && elements.length > 0) throw new Error(`a second root: ${name}`);
      const found = Array.from((attributes ?? "").matchAll(/([\w:-]+)="([^"]*)"/g), ([, key, value]) => [key, value]);
      if (new Set(found.map(([key]) => key)).size < found.length) throw new Error(`an attribute twice: ${token}`);
      const element = { name, attributes: Object.fromEntries(found), text: "" };
      elements.push(element);
      if (!empty) open.push(element);
    }
  }
  if (end !== svg.length) throw new Error(`no XML: ${svg.slice(end, end + 60)}`);
  if (open.length > 0) throw new Error(`never closed: ${open.map(({ name }) => name).join(", ")}`);
  return elements;
}

function decode(text: string): string {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"').replaceAll("&amp;", "&");
}

interface Box {
  readonly text: string;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

function boxOf({ attributes, text }: Element): Box {
  const size = Number(attributes["font-size"]);
  const width = textWidth(text, size, attributes.class?.includes("bold"));
  const shares: Readonly<Record<string, number>> = { start: 0, middle: 0.5, end: 1 };
  const left = Number(attributes.x) - width * shares[attributes["text-anchor"]!]!;
  const baseline = Number(attributes.y);
  return { text, left, right: left + width, top: baseline - 0.75 * size, bottom: baseline + 0.2 * size };
}

/** Pairs of labels that run into each other, and labels that leave the page. */
export function misplacedLabels(elements: readonly Element[]): string[] {
  const boxes = elements.filter(({ name }) => name === "text").map(boxOf);
  const { width, height } = elements[0]!.attributes;
  const outside = boxes
    .filter(({ left, right, top, bottom }) => left < 0 || top < 0 || right > Number(width) || bottom > Number(height))
    .map(({ text }) => `"${text}" leaves the page`);
  const meets = (a: Box, b: Box) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  const collisions = boxes.flatMap((one, at) =>
    boxes.slice(at + 1).flatMap((other) => (meets(one, other) ? [`"${one.text}" meets "${other.text}"`] : [])),
  );
  return [...outside, ...collisions];
}
