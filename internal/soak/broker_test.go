package soak

var brokerFaults = []fault{}
