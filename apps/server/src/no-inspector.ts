/**
 * Imported before anything else, by whatever begins a process. At SIGUSR1 Node opens its inspector, through which everybody on this host who
 * reaches the port reads the memory and runs code; a listener of our own takes its place. Not `--disable-sigusr1`: the single binary, the
 * sources and whoever starts them by other means would each have to be given it.
 */
process.on('SIGUSR1', () => undefined);
