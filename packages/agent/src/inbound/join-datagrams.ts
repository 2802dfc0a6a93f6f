/** UDP between a peer and a program: datagrams pass whole, until one end closes, nothing was said for long, or the flow is cut. */
import { endDatagrams } from '../flows/ending.ts';
import type { Flow } from '../flows/registry.ts';
import type { DatagramConduit } from '../words/conduit.ts';

export function joinDatagrams(flow: Flow, peer: DatagramConduit, target: DatagramConduit, idleMs: number): void {
  // One timer a flow, moved at most once an idle time: a datagram only notes when it came.
  let usedMs = performance.now();
  let timer: NodeJS.Timeout | undefined;
  const close = () => {
    clearTimeout(timer);
    // Both calls may come back here through `closed`; the flow ends once.
    flow.end('closed');
    target.close();
    peer.close();
  };
  const watch = (wait: number) => {
    timer = setTimeout(() => {
      const left = usedMs + idleMs - performance.now();
      if (left <= 0) close();
      else watch(left);
    }, wait);
    timer.unref();
  };
  watch(idleMs);
  flow.onCut(close);
  target.attach({
    datagram(payload) {
      usedMs = performance.now();
      flow.bytesReceived += payload.length;
      peer.send(payload);
    },
    closed: close,
  });
  peer.attach({
    datagram(payload) {
      usedMs = performance.now();
      flow.bytesSent += payload.length;
      target.send(payload);
    },
    closed: (cause) => {
      endDatagrams(flow, cause);
      close();
    },
  });
}
