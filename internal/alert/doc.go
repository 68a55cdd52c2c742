// Package alert tells people of what is wrong with the hub, where they are: in a chat, by mail, at a webhook. What is wrong is read off the hub's own
// status, so that nobody is told what the status does not say; what was told is kept in the store, so that a restart tells nothing twice and what is over is
// told as well.
package alert
