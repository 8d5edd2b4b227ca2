import { expect, test } from "bun:test";
import { ctsync, TestDirectory } from "./test-daemon.ts";

const GOOD = '[[link]]\ninterface = "eth2"\nlocal = "10.0.9.1"\npeer = "10.0.9.2"\n';
const BAD = '[sync]\nmod = "ftfw"\n[[link]]\ninterface = "eth2"\nlocal = "10.0.9.1"\npeer = "10.0.9.2"\nport = 0\n';

test("config check finds nothing in a good file", async () => {
  using directory = new TestDirectory();
  const path = directory.write("ctsync.toml", GOOD);
  expect(await ctsync("config", "check", "--config", path)).toEqual({
    code: 0,
    stdout: `${path}: no mistakes\n`,
    stderr: "",
  });
});

test.each(["config check", "config show", "daemon"])("%s reports every mistake and fails", async (command) => {
  using directory = new TestDirectory();
  const path = directory.write("ctsync.toml", BAD);
  expect(await ctsync(...command.split(" "), "--config", path)).toEqual({
    code: 1,
    stdout: "",
    stderr:
      `${path}: sync.mod: unknown key, did you mean "mode"? (found "ftfw")\n` +
      `${path}: link[0].port: UDP ports are 1 to 65535 (found 0)\n`,
  });
});

test("config show writes a file that says the same in full", async () => {
  using directory = new TestDirectory();
  const path = directory.write("ctsync.toml", GOOD);
  const first = await ctsync("config", "show", "--config", path);
  expect([first.code, first.stderr]).toEqual([0, ""]);
  expect(first.stdout).toContain('[sync]\nmode = "ftfw"\napply = "live"\nflows_max = 1048576\n');
  expect(first.stdout).toContain("port = 3780\n");
  directory.write("ctsync.toml", first.stdout);
  expect(await ctsync("config", "show", "--config", path)).toEqual(first);
});
