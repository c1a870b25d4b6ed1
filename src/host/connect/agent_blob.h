/*
 * agent_blob.h - the embedded agents, one for each architecture this build knows. An agent that was not built is empty.
 */
#ifndef ER_HOST_CONNECT_AGENT_BLOB_H
#define ER_HOST_CONNECT_AGENT_BLOB_H

extern const unsigned char er_agent_x86_64_start[], er_agent_x86_64_end[];
extern const unsigned char er_agent_aarch64_start[], er_agent_aarch64_end[];
extern const char er_agent_build[]; /* 12 hex digits */

#endif
