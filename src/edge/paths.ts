/** Where an edge on this host is found. In a file of its own: commands that only ask it load no more. */
export const DEFAULT_DATA_DIRECTORY = '/var/lib/causeway-edge';
/** The local API socket, in the data directory. */
export const SOCKET_NAME = 'edge.sock';
