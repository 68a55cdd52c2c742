package soak

var targetFaults = []fault{}
