/* charge.c - see charge.h */
#include "agent/attempt/charge.h"

#include "base/io.h"

void er_charge_release(struct er_charge *charge)
{
        er_adir_release(&charge->dir);
        er_ainfo_release(&charge->info);
        er_strv_wipe(&charge->secrets);
        er_ticket_close(&charge->ticket);
        er_envdir_release(&charge->env);
        er_activation_release(&charge->activation);
        er_close(&charge->lock_fd);
        er_close(&charge->ctl_fd);
}
