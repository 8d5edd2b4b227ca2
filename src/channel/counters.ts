/** What a link counts, whatever its transport; docs/architecture.md explains each. */
export class ChannelCounters {
  sent = 0;
  foreign = 0;
  sendFailed = 0;
  greetings = 0;
  clear = 0;
  malformed = 0;
  wrongKey = 0;
  oldSession = 0;
  replayed = 0;
  tooOld = 0;
  forged = 0;
}
