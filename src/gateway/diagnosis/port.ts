/**
 * TCP port of the diagnosis on every gateway's mesh IPs. Nobody's at IANA, and below the ports that Linux
 * gives to connections by itself; the mesh IPs begin with 100.96.
 */
export const DIAGNOSIS_PORT = 10_096;
