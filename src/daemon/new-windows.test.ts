import { expect, test } from "bun:test";
import { Errno } from "../../ffi/errno.ts";
import { makeFlow } from "../../test/make-flow.ts";
import type { Flow } from "../flow/flow.ts";
import { NewWindows } from "./new-windows.ts";

test("of the flows that begin, TCP's that are replicated are relaxed, all in order, and what is refused is counted", () => {
  const relaxed: Flow[] = [];
  const sizes: number[] = [];
  let waiting = 0;
  let errnos: number[] = [];
  const requests = {
    hasRoom: () => waiting < 2,
    addLiberal: (flow: Flow) => {
      relaxed.push(flow);
      waiting++;
    },
    flush: () => {
      sizes.push(waiting);
      waiting = 0;
      return errnos.length;
    },
    refusedErrno: (i: number) => errnos[i],
  };
  const ignored = makeFlow({});
  const windows = new NewWindows(requests, { ignores: (words) => words === ignored.words });
  windows.flush();
  expect(sizes).toEqual([]); // Nothing waits: nothing is said.
  const flows = [makeFlow({}), makeFlow({}), makeFlow({})];
  for (const flow of [...flows, ignored, makeFlow({ l4proto: 17 })]) windows.begun(flow);
  windows.flush();
  expect(relaxed).toEqual(flows);
  expect(sizes).toEqual([2, 1]);
  windows.begun(flows[0]);
  errnos = [Errno.ENOENT, Errno.ENOMEM];
  windows.flush();
  expect(windows.refused).toBe(1);
});
