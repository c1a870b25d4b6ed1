/*
 * checkout.h - `errand-agent checkout`: a project's files in a directory of their own, for a person to work on.
 */
#ifndef ER_AGENT_SNAPSHOT_CHECKOUT_H
#define ER_AGENT_SNAPSHOT_CHECKOUT_H

#include "agent/agent.h"

/* Arguments: [--fresh] PROJECT HASH. Writes the files of a snapshot on this host to projects/PROJECT, where they stay.
   Prints "made PATH", or "kept PATH" when the directory already exists (with --fresh, it is first renamed). HASH "-"
   only looks: "kept PATH" or "none PATH". */
int er_checkout(const struct er_agent *agent, char **args, int count);

#endif
