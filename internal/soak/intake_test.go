package soak

var intakeFaults = []fault{}
