/** Hint sockets as the platform keeps them: they outlive the instance that accepted them and sleep with the object. */
import type { HintSocket, Listener } from "./hints.ts";

/** Asked and answered without waking anybody: how a worker finds out that its socket is dead. */
export const PING = "ping";
export const PONG = "pong";

export function openSocket(
  context: DurableObjectState,
  listener: Listener,
): { readonly socket: HintSocket; readonly response: Response } {
  const { 0: client, 1: socket } = new WebSocketPair();
  context.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG));
  context.acceptWebSocket(socket);
  socket.serializeAttachment(listener);
  return { socket, response: new Response(null, { status: 101, webSocket: client } as ResponseInit) };
}

export function ownerOf(socket: WebSocket): Listener {
  return socket.deserializeAttachment() as Listener;
}

/** Those that an earlier instance accepted. */
export function openSockets(
  context: DurableObjectState,
): readonly { readonly listener: Listener; readonly socket: WebSocket }[] {
  return context.getWebSockets().map((socket) => ({ listener: ownerOf(socket), socket }));
}
