package soak

var syncFaults = []fault{}
