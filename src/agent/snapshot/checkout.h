/*
 * checkout.h - `errand-agent checkout`: the files of a project in a directory of their own, where a person works on
 * them.
 */
#ifndef ER_AGENT_SNAPSHOT_CHECKOUT_H
#define ER_AGENT_SNAPSHOT_CHECKOUT_H

#include "agent/agent.h"

/* [--fresh] PROJECT HASH: the files of a snapshot that is here into projects/PROJECT, where they stay. Says "made
   PATH", or "kept PATH" where that is there already (--fresh: puts it aside under another name). HASH "-" only looks:
   "kept PATH" or "none PATH". */
int er_checkout(const struct er_agent *agent, char **args, int count);

#endif
