/** Lines as conntrackd prints them, made comparable. */

const REPLY =
  / (\[UNREPLIED\] )?src=\S+ dst=\S+(?: sport=\S+ dport=\S+| type=\S+ code=\S+ id=\S+| srckey=\S+ dstkey=\S+)?/g;

/** The line without its second tuple. */
export function withoutReply(line: string): string {
  const [first, second] = [...line.matchAll(REPLY)];
  if (first === undefined || second === undefined) throw new Error(`not two tuples: ${line}`);
  return (
    line.slice(0, second.index) +
    (second[1] ? ` ${second[1].trimEnd()}` : "") +
    line.slice(second.index + second[0].length)
  );
}

/** The line with its mark, which conntrackd leaves out when the kernel's events did: then it is 0. */
export const withMark = (line: string): string =>
  / mark=\d/.test(line) ? line : line.replace(/(?= zone=| helper=| \[expires in | \[active since |$)/, " mark=0");

/** The line without what depends on the moment: its age, and when ALARM would drop it. */
export const withoutAge = (line: string): string => line.replace(/( \[expires in \d+s\])? \[active since \d+s\]$/, "");

export const ageOf = (line: string): number => Number(/ \[active since (\d+)s\]$/.exec(line)?.[1]);
