/* The end that SIGTERM asks for (R24). */
#ifndef WEIR_DRAIN_H
#define WEIR_DRAIN_H

/* From now on the host only finishes what is under way: listeners close,
 * timers no longer keep it, streams on which nothing is under way end with
 * ECANCELED as soon as that is so. After `grace` seconds the rest is cut off.
 * Calling it again changes nothing. */
void drain_begin(double grace);

#endif
