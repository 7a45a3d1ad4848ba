/** One WebSocket as the node sees it; `http/websocket.ts` makes one from a real socket, tests make their own. */
export interface Socket {
  /** Sends one text frame. What is sent within one turn of the event loop leaves in one write. */
  send(text: string | Uint8Array): void;
  /** Starts the closing handshake and makes sure the socket is gone soon, whether or not the peer takes part in it. */
  close(code: number, reason: string): void;
  /** Cuts the connection at once. */
  terminate(): void;
  ping(): void;
  /** Bytes given to `send` that the kernel has not taken yet. */
  unsent(): number;
}
