/**
 * What systemd is told of a program that it runs, as sd_notify(3) says. It listens on a socket of datagrams, of which Node has
 * none: its own tool sends, for a shell that this program writes to. The shell is started once, at the first word: a program that
 * is out of files later still tells that it lives.
 */
import { type ChildProcess, spawn } from 'node:child_process';

/** Whoever asks this program to stop may ask all that it started: the last word is still to come. */
const SENDER = 'trap "" INT TERM; while read -r line; do systemd-notify "$line" || exit; done';
/** In the time after which systemd kills a program that is silent. One late word is no reason. */
const WORDS_A_TIME = 3;

export class ServiceManager {
  readonly #env: NodeJS.ProcessEnv;
  readonly #failed: (error: Error) => void;
  #sender: ChildProcess | undefined;
  #alive: NodeJS.Timeout | undefined;

  /** Nothing is told where the environment names no socket. `failed` hears why systemd could not be told. */
  constructor(env: NodeJS.ProcessEnv, failed: (error: Error) => void) {
    this.#env = env;
    this.#failed = failed;
  }

  /** The program serves. From now on a loop that hangs is silent, where systemd asked to hear of it. `status`: what `systemctl status` shows. */
  ready(status?: string): void {
    clearInterval(this.#alive);
    if (status !== undefined) this.#tell(`STATUS=${status}`);
    this.#tell('READY=1');
    const { WATCHDOG_USEC, WATCHDOG_PID = String(process.pid) } = this.#env;
    const silentMs = Number(WATCHDOG_USEC) / 1_000;
    if (!(silentMs > 0) || WATCHDOG_PID !== String(process.pid)) return;
    this.#alive = setInterval(() => this.#tell('WATCHDOG=1'), silentMs / WORDS_A_TIME).unref();
  }

  /** `withinMs`: how long it may take, where that can be more than the unit says. */
  stopping(withinMs?: number): void {
    clearInterval(this.#alive);
    this.#tell('STOPPING=1');
    if (withinMs !== undefined) this.#tell(`EXTEND_TIMEOUT_USEC=${Math.ceil(withinMs * 1_000)}`);
    this.#sender?.stdin?.end();
  }

  #tell(word: string): void {
    if (!this.#env.NOTIFY_SOCKET) return;
    this.#sender ??= this.#start();
    this.#sender.stdin?.write(`${word}\n`);
  }

  /** Of itself it keeps no program from ending. */
  #start(): ChildProcess {
    const sender = spawn('/bin/sh', ['-c', SENDER], { env: this.#env, stdio: ['pipe', 'ignore', 'ignore'] });
    sender.unref();
    const ended = (cause: Error) => {
      if (this.#sender === sender) this.#sender = undefined;
      this.#failed(cause);
    };
    sender.on('error', ended);
    sender.on('exit', (code) => {
      if (code !== 0) ended(new Error(`systemd-notify: exit ${code}`));
    });
    // Told by its exit.
    sender.stdin?.on('error', () => {});
    return sender;
  }
}
