package soak

var diskFaults = []fault{}
