/** Making a key, changing it step by step, and telling the daemon. */
import { expect, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { keyFileText, parseLinkKeys, randomKey } from "../config/link-key.ts";
import { ctsync, lines, TestDaemon, TestDirectory } from "./test-daemon.ts";

const idsIn = (path: string): string[] => {
  const keys = parseLinkKeys(readFileSync(path, "utf8"));
  return keys.ok ? keys.value.map(({ id }) => id) : [keys.error];
};

test("keygen writes a key, says what to do with it, and never the key itself", async () => {
  using directory = new TestDirectory();
  const path = join(directory.path, "link.key");
  const made = await ctsync("keygen", path);
  const [id] = idsIn(path);
  expect(made).toEqual({
    code: 0,
    stdout: `wrote key ${id} to ${path}
Copy it to the other firewall:  scp ${path} root@OTHER:${path}
On both, in [[link]] of ctsync.toml:  key_file = "${path}"
and restart ctsync. Datagrams without this key are refused from then on.
`,
    stderr: "",
  });
  expect(statSync(path).mode & 0o7777).toBe(0o600);
  const before = readFileSync(path, "utf8");
  expect(await ctsync("keygen", path)).toEqual({
    code: 1,
    stdout: "",
    stderr: `ctsync keygen: ${path} is there already. To change its key use --add; to put a new one in its place, --force\n`,
  });
  expect(readFileSync(path, "utf8")).toBe(before);
  expect((await ctsync("keygen", path, "--force")).code).toBe(0);
  expect(idsIn(path)).not.toEqual([id!]);
});

test("keygen --help tells of every option and of the file it makes", async () => {
  const { code, stdout, stderr } = await ctsync("keygen", "--help");
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toContain("Usage: ctsync keygen [OPTIONS] [FILE]");
  expect(stdout).toContain("/etc/ctsync/link.key");
  for (const option of ["--add", "--switch", "--drop", "--force"]) expect(stdout).toContain(`  ${option} `);
});

test("keygen --add, --switch, --drop change the key, and refuse the wrong order", async () => {
  using directory = new TestDirectory();
  const path = join(directory.path, "link.key");
  const missing = await ctsync("keygen", path, "--add");
  expect([missing.code, missing.stderr]).toEqual([
    1,
    `ctsync keygen: ${path}: there is no such file. Make it on one firewall with: ctsync keygen, and copy it to the other\n`,
  ]);
  await ctsync("keygen", path);
  const [first = ""] = idsIn(path);
  for (const step of ["--switch", "--drop"]) {
    expect((await ctsync("keygen", path, step)).stderr).toBe(
      `ctsync keygen: ${path} has one key only: --add comes first\n`,
    );
  }
  const added = await ctsync("keygen", path, "--add");
  const [, second = ""] = idsIn(path);
  expect(idsIn(path)).toEqual([first, second]);
  expect(added.stdout).toBe(`${path}: added key ${second}, accepted from now on; ${first} stays in use. Then: --switch
Copy it to the other firewall:  scp ${path} root@OTHER:${path}
Then on both:  ctsync rekey
`);
  expect((await ctsync("keygen", path, "--add")).stderr).toBe(
    `ctsync keygen: ${path} has 2 keys already: --switch or --drop comes next\n`,
  );
  expect((await ctsync("keygen", path, "--switch")).stdout).toContain(
    `key ${second} is the one to use, ${first} is still accepted. Then: --drop`,
  );
  expect(idsIn(path)).toEqual([second, first]);
  expect((await ctsync("keygen", path, "--drop")).stdout).toContain(`removed key ${first}; ${second} is the one key`);
  expect(idsIn(path)).toEqual([second]);
  expect(statSync(path).mode & 0o7777).toBe(0o600);
});

test("rekey sends the daemon what the file holds, and says what came of it", async () => {
  using directory = new TestDirectory();
  const [first, second] = [randomKey(), randomKey()];
  const text = keyFileText([first, second], "x");
  const path = directory.write("link.key", text);
  const config = (more: string): string =>
    directory.write("ctsync.toml", `[[link]]\ninterface = "eth2"\nlocal = "10.0.9.1"\npeer = "10.0.9.2"\n${more}`);
  const ids = [first.id, second.id];
  using daemon = new TestDaemon(() => lines({ ok: true, value: { key: first.id, accepted: ids } }));
  const rekey = (...more: string[]) =>
    ctsync("rekey", "--config", join(directory.path, "ctsync.toml"), "--socket", daemon.socket, ...more);

  config("");
  expect((await rekey()).stderr).toContain("names no link.key_file");
  config(`key_file = "${path}"\n`);
  expect((await rekey()).stderr).toContain(`ctsync rekey: ${path}: others than its owner may use it (mode 0644)`);
  expect((await ctsync("config", "check", "--config", join(directory.path, "ctsync.toml"))).stderr).toContain(
    `link[0].key_file: ${path}: others than its owner may use it (mode 0644)`,
  );
  expect(daemon.received).toEqual([]);
  expect(Bun.spawnSync(["chmod", "600", path]).exitCode).toBe(0);
  expect(await rekey()).toEqual({
    code: 0,
    stdout: `sends with key ${first.id}, accepts ${first.id} and ${second.id}\n`,
    stderr: "",
  });
  await rekey("--force");
  expect(daemon.received.map(({ body }) => body)).toEqual([
    { keys: text, force: false },
    { keys: text, force: true },
  ]);
});
