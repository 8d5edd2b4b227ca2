/** Results that nobody measured, for the tests of what is made from results: every kind of row, goal and mishap. */
import type { Goal, Row, Subject } from "./measure.ts";
import type { MeasureResults, Results, Take } from "./results.ts";

/** Readings of each subject, one for each repeat; undefined where the reading failed. */
type Invented = Readonly<Partial<Record<Subject, readonly (number | undefined)[]>>>;

export interface InventedRow extends Pick<Row, "id"> {
  readonly label?: string;
  readonly unit?: string;
  readonly better?: Row["better"];
  readonly goals?: Goal[];
  readonly readings: Invented;
}

export function inventMeasure(id: string, title: string, invented: readonly InventedRow[]): MeasureResults {
  const rows = invented.map(({ id: row, label = row, unit = "µs", better = "lower", goals = [] }) => {
    return { id: row, label, unit, better, goals };
  });
  const takes = new Map<string, Take>();
  for (const { id: row, readings } of invented) {
    for (const [subject, values] of Object.entries(readings) as [Subject, (number | undefined)[]][]) {
      for (const [at, value] of values.entries()) {
        const key = `${subject} ${at}`;
        const take = takes.get(key) ?? { subject, repeat: at + 1, elapsedMs: 1_500, readings: {} };
        takes.set(key, take);
        if (value === undefined) take.failure = "the peer never came";
        else take.readings[row] = value;
      }
    }
  }
  return { id, title, method: "Nobody measured this.", rows, takes: [...takes.values()] };
}

export function inventResults(measures: MeasureResults[]): Results {
  return {
    form: "full",
    startedAt: "2026-01-02T03:04:05.000Z",
    machine: {
      processor: "Processor <9> & Co",
      coreCount: 2,
      memoryBytes: 8_000_000_000,
      kernel: "6.1.0",
      distribution: "Debian GNU/Linux 12",
      loadAverage: 0.04,
    },
    versions: { ctsync: "0.1.0", sources: "abcdef0", bun: "1.4.5", conntrackd: "1.4.7" },
    measures,
  };
}

const around = (value: number): number[] => [value * 1.04, value, value * 0.97];

const toConntrackd = (factor: number): Goal => ({ factor, of: "conntrackd" });
const toLimit = (factor: number): Goal => ({ factor, of: "limit" });

function inventCpu(): MeasureResults {
  const costs = [
    ["5,000/s", "sender", 61.5, 22, 12, 0.4],
    ["5,000/s", "receiver", 30.6, 13.1, 8, 0.4],
    ["20,000/s", "sender", 19.4, 7.1, 3.4, 0.4],
    ["50,000/s", "receiver", 3.2, 3.4, 1.4, 0.6],
  ] as const;
  const rows = costs.map(([rate, side, conntrackd, ctsync, limit, factor]) => ({
    id: `${side}-${rate}`,
    label: `${side} at ${rate}`,
    goals: [toConntrackd(factor), toLimit(2)],
    readings: { conntrackd: around(conntrackd), ctsync: around(ctsync), limit: around(limit) },
  }));
  return inventMeasure("M4", "CPU per new event, whole process", rows);
}

function inventScaling(): MeasureResults {
  const sizes = [10_000, 100_000, 1_000_000];
  const costs = [
    ["cpu-sender", "µs", 5.6, 3.1],
    ["cpu-receiver", "µs", 1.6, 1.5],
    ["memory-internal", "bytes", 528, 205],
    ["memory-external", "bytes", 464, 190],
    ["commit", "µs", 17.5, 5.1],
  ] as const;
  const rows = costs.flatMap(([kind, unit, conntrackd, ctsync]) =>
    sizes.map((size, at) => ({
      id: `${kind}-${size}`,
      unit,
      readings: { conntrackd: around(conntrackd * (1 + at / 20)), ctsync: around(ctsync * (1 - at / 50)) },
    })),
  );
  return inventMeasure("S", "Cost as the table grows", rows);
}

/** A whole run, with a row nobody could measure, a single reading, a zero, and a label longer than any column. */
export function inventRun(): Results {
  const burst: InventedRow = {
    id: "arrived",
    label: "arrived of 200,000",
    unit: "",
    better: "higher",
    goals: [{ absolute: 200_000 }],
    readings: { conntrackd: [191_953, 190_001, 192_118], ctsync: [200_000, 200_000, 199_999] },
  };
  const latency: InventedRow = {
    id: "p99",
    label: "99th percentile with gathering off, kernel event to datagram on the wire at 20,000/s",
    goals: [toConntrackd(1.2), { absolute: 1_000 }],
    readings: { conntrackd: [149, 160, 151], ctsync: [140, undefined, 171] },
  };
  const memory: InventedRow = {
    id: "empty",
    label: "RSS when <empty> & idle",
    unit: "bytes",
    goals: [toConntrackd(1)],
    readings: { conntrackd: [67e6], ctsync: [71.4e6] },
  };
  const commit: InventedRow = {
    id: "stand",
    label: "500,000 that stand there already",
    better: "higher",
    unit: "/s",
    goals: [toConntrackd(4), toLimit(0.7)],
    readings: { conntrackd: around(41_000), ctsync: around(192_000), limit: around(238_000) },
  };
  const pause: InventedRow[] = [
    { id: "pause", unit: "ms", goals: [{ absolute: 10 }], readings: { ctsync: [4.21] } },
    { id: "growth", unit: "bytes", goals: [{ absolute: 0 }], readings: { ctsync: [undefined] } },
    { id: "lost", unit: "", goals: [toConntrackd(1)], readings: { conntrackd: [0], ctsync: [0] } },
  ];
  const endurance = inventMeasure("M12", "Longest pause of the loop in ten minutes", pause);
  endurance.takes[0]!.notes = ["the longest turn was <GC> | wait"];
  return inventResults([
    inventMeasure("M3", "Burst of 200,000 with the example file's buffers", [burst]),
    inventCpu(),
    inventMeasure("M5", "Latency", [latency]),
    inventMeasure("M6", "Memory per flow", [memory]),
    inventMeasure("M7", "Commit", [commit]),
    endurance,
    inventScaling(),
  ]);
}
