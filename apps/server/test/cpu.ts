/** What a computation costs this thread: how busy the machine is changes that far less than the time by the clock. */
export function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}
