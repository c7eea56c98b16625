/** Milliseconds of processor time that this process spends while `act` runs: other programs on the machine do not add to it. */
export async function workMs(act: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  await act();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}
